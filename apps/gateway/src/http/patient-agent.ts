import { Agent, type ClientRequestArgs } from 'node:http';
import { type NetConnectOpts, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

type Callback = (error?: Error | null) => void;

/**
 * A connection whose other side may close while it is still written to. A server that answers early and closes without reading the rest makes the
 * next write fail, with its answer unread in the receive buffer: Node would give that up with the connection. Here what cannot be written any more
 * is dropped, and the reading side tells how it ended: by the answer, or by the end of the connection.
 */
class PatientSocket extends Socket {
  override _write(chunk: unknown, encoding: BufferEncoding, callback: Callback): void {
    super._write(chunk, encoding, patient(callback));
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], callback: Callback): void {
    super._writev?.(chunks, patient(callback));
  }
}

function patient(callback: Callback): Callback {
  return (error) => {
    const code = (error as NodeJS.ErrnoException | null | undefined)?.code;
    callback(code === 'EPIPE' || code === 'ECONNRESET' ? null : error);
  };
}

/** An agent of such connections. */
export class PatientAgent extends Agent {
  override createConnection(options: ClientRequestArgs): Duplex {
    // As `net.connect` does: Node's http client gives the options of both.
    const connecting = options as NetConnectOpts;
    const socket = new PatientSocket(connecting);
    return socket.connect(connecting);
  }
}
