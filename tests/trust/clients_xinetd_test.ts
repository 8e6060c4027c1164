import { hostileSuite } from "../harness/hostile_suite.ts";
import { xinetd } from "../harness/way_in.ts";

hostileSuite(xinetd);
