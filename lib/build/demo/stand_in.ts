/**
 * The demo's next program, in the place of qmail-smtpd.
 *
 * @module
 */

/**
 * A shell script that speaks enough SMTP to receive a message, and discards the
 * message. It prints its process id, which shows that greylist has become this
 * program.
 *
 * @param hostname the name in its banner
 */
export function standIn(hostname: string): string {
  return `#!/bin/sh
cr=$(printf '\\r')
say() { printf '%s\\r\\n' "$1"; }

say "220 ${hostname} stand-in for qmail-smtpd, pid $$"
while IFS= read -r line; do
  case \${line%"$cr"} in
    HELO*|EHLO*) say '250 ${hostname}' ;;
    MAIL*|RCPT*) say '250 2.1.0 ok' ;;
    DATA)
      say '354 go ahead'
      while [ "\${line%"$cr"}" != . ]; do
        IFS= read -r line || exit
      done
      say '250 2.0.0 queued (by the stand-in)' ;;
    QUIT) say '221 2.0.0 bye'; exit ;;
    *) say '502 5.5.1 not in this stand-in' ;;
  esac
done
`;
}
