/** What set-up hands to the rest of Skerry: every path is absolute and readable by the users that need it. */
export interface Artifacts {
  readonly runsc: { readonly path: string; readonly version: string };
  readonly guest: { readonly path: string; readonly sha256: string; readonly version: string };
  readonly images: readonly ImageArtifact[];
  readonly machine: MachineSettings;
  /** Interpreter that has the pinned Python client; null unless the tests asked for it. */
  readonly python: string | null;
  readonly timings: readonly StageTiming[];
}

export interface ImageArtifact {
  readonly name: string;
  /** Identity of the content: the same key means the same recipe, sources and generation. */
  readonly key: string;
  /** A `.tar.zst` with numeric owners and extended attributes. */
  readonly archive: string;
  /** An `image.json`, see `ImageManifest`. */
  readonly manifest: string;
}

/** The content of `image.json`. */
export interface ImageManifest {
  readonly name: string;
  readonly key: string;
  /** RFC 3339. */
  readonly createdAt: string;
  /** Unpacked size in bytes. */
  readonly sizeBytes: number;
  /** Number of entries, folders included. */
  readonly files: number;
  readonly config: { readonly env: Readonly<Record<string, string>>; readonly user: string; readonly workdir: string };
}

/** Settings of this machine that a sandbox on it needs in order to reach package registries. */
export interface MachineSettings {
  /** PEM file with the certificate authorities that only this machine trusts. */
  readonly caBundle: string | null;
  readonly env: Readonly<Record<string, string>>;
}

export interface StageTiming {
  readonly stage: string;
  readonly ms: number;
  readonly cached: boolean;
}
