/** Where sandboxes may not go, with the reason; the table of docs/security.md. Documentation ranges are not closed: registries may answer there. */
export const closedRanges = [
  { range: '0.0.0.0/8', reason: 'this host, by RFC 1122' },
  { range: '10.0.0.0/8', reason: 'private, RFC 1918' },
  { range: '100.64.0.0/10', reason: 'carrier NAT, RFC 6598; metadata addresses of some clouds' },
  { range: '127.0.0.0/8', reason: 'loopback' },
  { range: '169.254.0.0/16', reason: 'link-local, cloud metadata at 169.254.169.254 included' },
  { range: '172.16.0.0/12', reason: 'private, RFC 1918' },
  { range: '192.168.0.0/16', reason: 'private, RFC 1918' },
  { range: '224.0.0.0/4', reason: 'multicast' },
  { range: '240.0.0.0/4', reason: 'reserved, broadcast included' },
] as const;
