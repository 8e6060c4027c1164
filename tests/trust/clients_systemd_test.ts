import { hostileSuite } from "../harness/hostile_suite.ts";
import { systemd } from "../harness/way_in.ts";

hostileSuite(systemd);
