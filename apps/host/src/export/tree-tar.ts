/** Packs and unpacks whole trees as tar, by GNU tar in a jail: files of a sandbox may come from anybody. */
import { type Jailed, startJailed } from './jail.ts';

const options =
  '--format=posix --numeric-owner --acls --xattrs --xattrs-include="user.*" --xattrs-include=security.capability';
/** Device nodes and sockets mean nothing elsewhere; a sandbox cannot make the former. */
const pack = `find . -xdev ! -type b ! -type c ! -type s -print0 | tar --create ${options} --sparse \
--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --no-recursion --null --files-from=-`;
const unpack = `tar --extract ${options} --same-owner --preserve-permissions --file=-`;

/** Begins to pack a tree that does not change; the tar is its standard output. `jail` is an empty directory to mount on. */
export function packTree(tree: string, jail: string): Jailed {
  return startJailed({ mountPoint: jail, tree, writable: false, user: 0, rights: ['dac_read_search'], program: pack });
}

/** Begins to unpack into an empty tree; the tar is its standard input. */
export function unpackTree(tree: string, jail: string): Jailed {
  const rights = ['chown', 'dac_override', 'fowner', 'fsetid', 'setfcap'];
  return startJailed({ mountPoint: jail, tree, writable: true, user: 0, rights, program: unpack });
}

/** Begins to decompress what may be no zstd at all, as nobody: from its standard input to its standard output. */
export function decompress(jail: string): Jailed {
  const nobody = 65_534;
  const program = 'zstd --decompress --stdout --quiet --memory=128MB';
  return startJailed({ mountPoint: jail, tree: jail, writable: false, user: nobody, rights: [], program });
}
