/**
 * Large senders that retry a deferred message from another network, as pools.
 *
 * A domain is one whose SPF record the sender tells its customers to include, or
 * that of its own addresses. `deno task pools` says if a record has gone.
 *
 * @module
 */

/** A sender with many networks. */
export interface Sender {
  /** The name of the pool. */
  readonly name: string;
  readonly description: string;
  /** The domains whose SPF records list its networks. */
  readonly domains: readonly string[];
  /**
   * The names of its hosts, if its record lists them by name (`ptr`). They count
   * only if the super-server looks names up.
   */
  readonly hosts?: readonly string[];
}

/**
 * The senders. If the networks of two overlap, the first gets the client, so a
 * service that sends through a cloud comes before that cloud.
 */
export const SENDERS: readonly Sender[] = [
  // Mailbox providers.
  {
    name: "google",
    description: "Gmail, Google Workspace",
    domains: ["_spf.google.com"],
  },
  {
    name: "microsoft",
    description: "Outlook.com, Microsoft 365",
    domains: ["spf.protection.outlook.com", "outlook.com"],
  },
  {
    name: "yahoo",
    description: "Yahoo Mail, AOL",
    domains: ["yahoo.com"],
    hosts: [".yahoo.com"],
  },
  { name: "apple", description: "iCloud Mail", domains: ["icloud.com"] },
  {
    name: "gmx",
    description: "GMX, WEB.DE",
    domains: ["gmx.net", "web.de"],
  },
  {
    name: "ionos",
    description: "IONOS, mail of hosted domains",
    domains: ["_spf.kundenserver.de", "_spf.perfora.net"],
  },
  {
    name: "fastmail",
    description: "Fastmail",
    domains: ["spf.messagingengine.com"],
  },
  {
    name: "proton",
    description: "Proton Mail",
    domains: ["_spf.protonmail.ch"],
  },
  {
    name: "zoho",
    description: "Zoho Mail",
    domains: ["zoho.com", "zoho.eu"],
  },
  { name: "mailru", description: "Mail.ru", domains: ["_spf.mail.ru"] },
  { name: "yandex", description: "Yandex Mail", domains: ["_spf.yandex.net"] },
  { name: "qq", description: "QQ Mail, Tencent", domains: ["spf.mail.qq.com"] },
  {
    name: "rackspace",
    description: "Rackspace Email",
    domains: ["emailsrvr.com"],
  },
  // Social networks and tools that send log-in codes and notices.
  {
    name: "facebook",
    description: "Facebook, Instagram",
    domains: ["facebookmail.com"],
  },
  { name: "linkedin", description: "LinkedIn", domains: ["linkedin.com"] },
  {
    name: "zendesk",
    description: "Zendesk, customer service",
    domains: ["mail.zendesk.com"],
  },
  {
    name: "atlassian",
    description: "Jira, Confluence, Trello",
    domains: ["_spf.atlassian.net"],
  },
  // Services for newsletters and for mail that programs send.
  {
    name: "mailchimp",
    description: "Mailchimp, Mandrill",
    domains: ["servers.mcsv.net", "spf.mandrillapp.com"],
  },
  {
    name: "salesforce",
    description: "Salesforce Marketing Cloud",
    domains: ["cust-spf.exacttarget.com"],
  },
  {
    name: "marketo",
    description: "Adobe Marketo",
    domains: ["mktomail.com"],
  },
  {
    name: "constantcontact",
    description: "Constant Contact",
    domains: ["spf.constantcontact.com"],
  },
  {
    name: "campaignmonitor",
    description: "Campaign Monitor",
    domains: ["_spf.createsend.com"],
  },
  {
    name: "brevo",
    description: "Brevo, once Sendinblue",
    domains: ["spf.brevo.com"],
  },
  { name: "mailjet", description: "Mailjet", domains: ["spf.mailjet.com"] },
  { name: "postmark", description: "Postmark", domains: ["spf.mtasv.net"] },
  { name: "mailgun", description: "Mailgun", domains: ["mailgun.org"] },
  {
    name: "sendgrid",
    description: "Twilio SendGrid",
    domains: ["sendgrid.net"],
  },
  // Mail gateways that companies send through.
  {
    name: "mimecast",
    description: "Mimecast, gateway",
    domains: ["_netblocks.mimecast.com"],
  },
  {
    name: "messagelabs",
    description: "Symantec Email Security, gateway",
    domains: ["spf.messagelabs.com"],
  },
  {
    name: "barracuda",
    description: "Barracuda, gateway",
    domains: ["spf.ess.barracudanetworks.com"],
  },
  // Registrars: mail of hosted domains, and forwarders.
  {
    name: "godaddy",
    description: "GoDaddy, mail of hosted domains",
    domains: ["secureserver.net"],
  },
  {
    name: "namecheap",
    description: "Namecheap, forwarding and Private Email",
    domains: ["spf.efwd.registrar-servers.com", "spf.privateemail.com"],
  },
  {
    name: "cloudflare",
    description: "Cloudflare Email Routing, a forwarder",
    domains: ["_spf.mx.cloudflare.net"],
  },
  {
    name: "ovh",
    description: "OVHcloud, mail of hosted domains",
    domains: ["mx.ovh.com"],
  },
  {
    name: "gandi",
    description: "Gandi, mail of hosted domains",
    domains: ["_mailcust.gandi.net"],
  },
  // The clouds themselves.
  {
    name: "amazonses",
    description: "Amazon Simple Email Service",
    domains: ["amazonses.com"],
  },
];
