import { mailSuite } from "../harness/mail_suite.ts";
import { tcpserver, tcpserver4 } from "../harness/way_in.ts";

mailSuite(tcpserver);
mailSuite(tcpserver4);
