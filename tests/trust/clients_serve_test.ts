import { hostileSuite } from "../harness/hostile_suite.ts";
import { serve } from "../harness/way_in.ts";

hostileSuite(serve);
