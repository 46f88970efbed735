package access

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// Budget bounds how many bytes of request bodies are held in memory at once. A request that finds it used up fails: waiting
// would let slow senders block everybody.
type Budget struct {
	mu   sync.Mutex
	left int64
}

// NewBudget allows limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{left: limit} }

var errBudget = errors.New("the guest already holds as many request bodies as it can: try again shortly")

// Limit charges each request's body to the budget until its handler returns. A stream of messages is charged for
// its largest one at most, since only one is held at a time.
func (b *Budget) Limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &budgetedBody{ReadCloser: r.Body, budget: b}
		defer body.release()
		r.Body = body
		next.ServeHTTP(w, r)
	})
}

// MessageLimit is the size of the largest message that the guest reads, and the most that one request is charged, in bytes.
const MessageLimit = 16 << 20

type budgetedBody struct {
	io.ReadCloser
	budget  *Budget
	charged int64
	read    int64
}

func (b *budgetedBody) Read(buffer []byte) (int, error) {
	count, err := b.ReadCloser.Read(buffer)
	b.read += int64(count)
	if due := min(b.read, MessageLimit) - b.charged; due > 0 {
		if !b.budget.take(due) {
			return 0, errBudget
		}
		b.charged += due
	}
	return count, err
}

func (b *budgetedBody) release() { b.budget.take(-b.charged) }

func (b *Budget) take(amount int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if amount > b.left {
		return false
	}
	b.left -= amount
	return true
}
