import { defineConfig } from "./lib/config.ts";

export default defineConfig({
  baseDir: "/var/qmail/greylist",
});
