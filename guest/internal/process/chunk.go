package process

// source tells where output came from.
type source uint8

const (
	fromStdout source = iota
	fromStderr
	fromTerminal
)

// chunk is one piece of output. Its bytes never change once it is in a queue.
type chunk struct {
	from source
	data []byte
}

// chunkOverhead is what a chunk costs beside its bytes, so that a million one-byte writes are bounded too.
const chunkOverhead = 64

func (c chunk) cost() int { return len(c.data) + chunkOverhead }

// backlogLimit bounds the output kept of a process that nobody is attached to, in bytes.
const backlogLimit = 1 << 20

// backlog keeps the newest output and counts what it let go of.
type backlog struct {
	chunks  []chunk
	size    int
	dropped int64
}

// add copies data to the end and drops the oldest until the limit holds.
func (b *backlog) add(from source, data []byte) {
	if len(data) == 0 {
		return
	}
	if last := len(b.chunks) - 1; last >= 0 && b.chunks[last].from == from &&
		len(b.chunks[last].data)+len(data) <= readSize {
		b.chunks[last].data = append(b.chunks[last].data, data...)
		b.size += len(data)
	} else {
		added := chunk{from: from, data: append([]byte(nil), data...)}
		b.chunks = append(b.chunks, added)
		b.size += added.cost()
	}
	for b.size > backlogLimit {
		oldest := b.chunks[0]
		b.chunks[0] = chunk{}
		b.chunks = b.chunks[1:]
		b.size -= oldest.cost()
		b.dropped += int64(len(oldest.data))
	}
}

// take empties the backlog and returns what it held.
func (b *backlog) take() ([]chunk, int64) {
	chunks, dropped := b.chunks, b.dropped
	*b = backlog{}
	return chunks, dropped
}
