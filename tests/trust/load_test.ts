// Runs alone: its clients come 200 at a time.

import { loadSuite } from "../harness/load_suite.ts";
import { serve, tcpserver } from "../harness/way_in.ts";

for (const way of [tcpserver, serve]) loadSuite(way);
