export interface UnitFacts {
  readonly checkout: string;
  readonly dataDir: string;
  readonly listen: string | undefined;
  readonly path: string;
}

/** Text of the systemd unit that keeps an instance up. */
export function unitText({ checkout, dataDir, listen, path }: UnitFacts): string {
  const args = ['up', '--data', dataDir, ...(listen === undefined ? [] : ['--listen', listen])];
  return `[Unit]
Description=Skerry: isolated computers for AI agents
After=network-online.target
Wants=network-online.target

[Service]
Type=simple
ExecStart=${[`${checkout}/skerry`, ...args].map(quoted).join(' ')}
Environment=${quoted(`PATH=${path}`)}
Environment=NO_COLOR=1
# SIGTERM goes to the command alone, which rests the sandboxes and ends its programs in their order.
KillMode=mixed
TimeoutStartSec=30min
TimeoutStopSec=180
Restart=on-failure
RestartSec=5
# Sandboxes have control groups of their own, and outlive a restart of the service.
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
`;
}

/** A word of a unit file. Source: systemd.service(5), "Command lines". */
export function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return /[\s"'\\;]/.test(word) ? `"${escaped}"` : escaped;
}
