import { loadSuite } from "./harness/load_suite.ts";
import { tcpserver } from "./harness/way_in.ts";

loadSuite(tcpserver);
