import { mailSuite } from "../harness/mail_suite.ts";
import { serve } from "../harness/way_in.ts";

mailSuite(serve);
