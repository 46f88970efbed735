/** The part of dns-packet (which comes without types) that the tests use as a second opinion on the wire format. */
declare module 'dns-packet' {
  export interface Question {
    readonly name: string;
    readonly type: string;
    readonly class?: string;
  }
  export interface ResourceRecord {
    readonly name: string;
    readonly type: string;
    readonly ttl?: number;
    readonly data?: unknown;
    readonly udpPayloadSize?: number;
    readonly flags?: number;
  }
  export interface Packet {
    readonly id?: number;
    readonly type?: 'query' | 'response';
    readonly flags?: number;
    readonly questions?: readonly Question[];
    readonly answers?: readonly ResourceRecord[];
    readonly authorities?: readonly ResourceRecord[];
    readonly additionals?: readonly ResourceRecord[];
  }
  export interface DecodedPacket extends Required<Packet> {
    readonly rcode: string;
    readonly flag_tc: boolean;
  }
  export function encode(packet: Packet): Buffer;
  export function decode(message: Buffer): DecodedPacket;
}
