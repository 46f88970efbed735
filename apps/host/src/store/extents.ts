/** Which extents of a btrfs the files of a tree lie in: read from its trees directly, which costs a fraction of asking for each file. */
import { runCommand } from '@skerry/kit';

/** Extents of data: where each begins on the file system, and its size there, in `bytes`; in the order of their beginnings, each once. */
export interface Extents {
  readonly starts: Float64Array;
  readonly bytes: Float64Array;
  /** Bytes of small files that lie within the tree itself; they are shared with it. */
  readonly inlineBytes: number;
  /** Latest transaction that wrote one of the extents. */
  readonly generation: number;
}

export interface ExtentSearch {
  /** A directory of the file system. */
  readonly directory: string;
  /** Id of the subvolume; that of the directory when absent. */
  readonly subvolumeId?: number;
  /** Only this file. */
  readonly inode?: number;
  /** Only what was written in this transaction or later. */
  readonly sinceGeneration?: number;
}

const searchDeadlineMs = 300_000;

/**
 * Sends BTRFS_IOC_TREE_SEARCH_V2 until there is no more, and prints each extent once. By perl, which every Debian has: no program of btrfs-progs tells
 * this of a mounted file system.
 */
const program = String.raw`
use strict; my ($directory, $tree, $first, $last, $since) = @ARGV;
open(my $d, "<", $directory) or die "$!\n";
my $max = 18446744073709551615; my $size = 1 << 20; my %seen; my $inline = 0; my $newest = 0;
my ($object, $type, $offset) = ($first, 0, 0);
while (1) {
  my $arguments = pack("Q7 L4 Q4 Q", $tree, $object, $last, $offset, $max, $since, $max, $type, 255, 4294967295, 0, 0, 0, 0, 0, $size) . ("\0" x $size);
  ioctl($d, 0xC0709411, $arguments) or die "$!\n";
  my $count = unpack("L", substr($arguments, 64, 4)) or last;
  my $at = 112;
  for (1 .. $count) {
    (undef, $object, $offset, $type, my $length) = unpack("Q3 L2", substr($arguments, $at, 32));
    if ($type == 108) {
      my ($generation, $ram, undef, $kind) = unpack("Q Q L C", substr($arguments, $at + 32, 21));
      if ($kind == 0) { $inline += $ram }
      elsif ($generation >= $since) {
        my ($start, $bytes) = unpack("Q Q", substr($arguments, $at + 32 + 21, 16));
        if ($start > 0) { $seen{$start} = $bytes; $newest = $generation if $generation > $newest }
      }
    }
    $at += 32 + $length;
  }
  if ($offset < $max) { $offset++ } elsif ($type < 255) { $type++; $offset = 0 } else { $object++; $type = 0; $offset = 0 }
  last if $object > $last;
}
print "$inline $newest\n";
print "$_ $seen{$_}\n" for sort { $a <=> $b } keys %seen;`;

/** Finds the extents of a tree or of one file. What has not been written out yet is in none. */
export async function findExtents({ directory, subvolumeId, inode, sinceGeneration }: ExtentSearch): Promise<Extents> {
  const [first, last] = inode === undefined ? ['256', '18446744073709551360'] : [String(inode), String(inode)];
  const args = [directory, String(subvolumeId ?? 0), first, last, String(sinceGeneration ?? 0)];
  return parseExtents(await runCommand('perl', ['-e', program, ...args], { deadlineMs: searchDeadlineMs }));
}

/** Reads what the program prints: inline bytes and generation, then start and size of each extent. */
export function parseExtents(text: string): Extents {
  const [head = '', ...lines] = text.trimEnd().split('\n');
  const [inlineBytes = 0, generation = 0] = head.split(' ').map(Number);
  const starts = new Float64Array(lines.length);
  const bytes = new Float64Array(lines.length);
  for (const [index, line] of lines.entries()) {
    const gap = line.indexOf(' ');
    starts[index] = Number(line.slice(0, gap));
    bytes[index] = Number(line.slice(gap + 1));
  }
  return { starts, bytes, inlineBytes, generation };
}
