import { hostileSuite } from "../harness/hostile_suite.ts";
import { inetd } from "../harness/way_in.ts";

hostileSuite(inetd);
