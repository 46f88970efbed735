import { tryCommand } from './run-command.ts';
import { SetupFailure } from './setup-failure.ts';

export interface GoToolchain {
  /** As `go1.26.8`. */
  readonly version: string;
  readonly architecture: string;
  /** GOPROXY, when somebody set it on this machine; otherwise empty. */
  readonly proxy: string;
}

/** gVisor's sources are generated for one Go release: with another one its kernel panics at random. */
export const GO_RELEASE = '1.26';

/** Environment of every `go` call of ours: the Go that was checked is the Go that builds, and the machine's own settings stay out. */
export const GO_ENV: Readonly<Record<string, string>> = {
  GOTOOLCHAIN: 'local',
  CGO_ENABLED: '0',
  GOFLAGS: '-mod=readonly -buildvcs=false',
  GOWORK: 'off',
};

/** Asks the machine's Go for its version; throws with an instruction when it is missing or not exactly 1.26.x. */
export async function requireGo(): Promise<GoToolchain> {
  const hint = `Install Go ${GO_RELEASE}.x from the Go project's download page, put its "bin" folder on PATH, and run the same command again.`;
  const [asked, changed] = await Promise.all([
    tryCommand('go', ['env', 'GOVERSION', 'GOARCH', 'GOPROXY'], { env: GO_ENV }).catch(() => null),
    tryCommand('go', ['env', '-changed', 'GOPROXY'], { env: GO_ENV }).catch(() => null),
  ]);
  if (asked === null || asked.code !== 0) throw new SetupFailure('Cannot build: there is no Go on PATH.', hint);
  const [version = '', architecture = '', proxy = ''] = asked.stdout.split('\n');
  if (!isRightGo(version)) {
    throw new SetupFailure(
      `Cannot build: Go is "${version}", and gVisor needs Go ${GO_RELEASE}.x exactly (another release makes it crash at random).`,
      hint,
    );
  }
  return { version, architecture, proxy: changed?.stdout.trim() === '' ? '' : proxy };
}

export function isRightGo(version: string): boolean {
  return new RegExp(`^go${GO_RELEASE.replace('.', '\\.')}\\.\\d+$`).test(version);
}
