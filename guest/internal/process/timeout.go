package process

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"skerry.dev/guest/proto/process/processpbconnect"
)

// maxTimeout is the longest that is counted: about a century, as a longer one would not fit the type.
const maxTimeout = 100 * 365 * 24 * time.Hour

// grpcUnits are those of a Grpc-Timeout.
var grpcUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

type timeoutKey struct{}

// TakeTimeouts keeps the timeout of Start from the protocol's library, whose context counts the time of a pause too: it would
// end every command that had one as soon as the sandbox is back. A timeout that is not valid is left to the library.
func TakeTimeouts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == processpbconnect.ProcessStartProcedure {
			for _, taken := range []struct {
				header string
				parse  func(string) time.Duration
			}{{"Connect-Timeout-Ms", parseMilliseconds}, {"Grpc-Timeout", parseGRPC}} {
				if limit := taken.parse(r.Header.Get(taken.header)); limit > 0 {
					r.Header.Del(taken.header)
					r = r.WithContext(context.WithValue(r.Context(), timeoutKey{}, limit))
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// timeLimit is how long the request's process may run, or zero when it may run for good.
func timeLimit(ctx context.Context) time.Duration {
	if limit, ok := ctx.Value(timeoutKey{}).(time.Duration); ok {
		return limit
	}
	if deadline, ok := ctx.Deadline(); ok {
		return max(time.Until(deadline), time.Nanosecond)
	}
	return 0
}

// parseMilliseconds returns zero for what is not valid.
func parseMilliseconds(text string) time.Duration {
	const mostDigits = 10
	if len(text) > mostDigits {
		return 0
	}
	count, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0
	}
	return min(time.Duration(count)*time.Millisecond, maxTimeout)
}

func parseGRPC(text string) time.Duration {
	const mostDigits = 8
	if text == "" || len(text) > mostDigits+1 {
		return 0
	}
	unit, known := grpcUnits[text[len(text)-1]]
	count, err := strconv.ParseUint(text[:len(text)-1], 10, 63)
	if err != nil || !known {
		return 0
	}
	if count > uint64(maxTimeout/unit) {
		return maxTimeout
	}
	return time.Duration(count) * unit
}
