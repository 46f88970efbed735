import type { Sandbox as SandboxView } from '@skerry/protocol';
import { Files } from './files/files.ts';
import { GuestClient } from './guest-client.ts';
import { Processes } from './process/processes.ts';
import type { Transport } from './transport.ts';

/** One sandbox as it was when it was asked for, and the way into it. */
export class Sandbox {
  readonly view: SandboxView;
  readonly process: Processes;
  readonly files: Files;

  constructor(view: SandboxView, transport: Transport) {
    this.view = view;
    const guest = new GuestClient(transport, view);
    this.process = new Processes(guest);
    this.files = new Files(guest);
  }

  get id(): string {
    return this.view.id;
  }
  get name(): string {
    return this.view.name;
  }
}
