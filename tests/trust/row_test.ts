// Runs first: it takes longest.

import { rowSuite } from "../harness/load_suite.ts";
import { serve, tcpserver } from "../harness/way_in.ts";

rowSuite(tcpserver, 20_000);
// serve/growth_test.ts has 100,000 for serve.
rowSuite(serve, 2000);
