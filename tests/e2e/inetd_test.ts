import { mailSuite } from "../harness/mail_suite.ts";
import { inetd, systemd, xinetd } from "../harness/way_in.ts";

mailSuite(inetd);
mailSuite(xinetd);
mailSuite(systemd);
