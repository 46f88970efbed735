package files

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	codingIdentity = "identity"
	codingGzip     = "gzip"
)

// chooseCoding picks how a file is sent: compressed for whoever names gzip and does not like it less than plain.
func chooseCoding(accepted []string) (string, error) {
	weights := map[string]float64{}
	for item := range strings.SplitSeq(strings.Join(accepted, ","), ",") {
		name, parameters, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		weight := 1.0
		if value, given := strings.CutPrefix(strings.TrimSpace(parameters), "q="); given {
			parsed, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(parsed >= 0 && parsed <= 1) {
				return "", fail(http.StatusBadRequest, "the Accept-Encoding header is not valid")
			}
			weight = parsed
		}
		weights[name] = weight
	}
	gzipWeight, gzipNamed := weights[codingGzip]
	plainWeight, plainNamed := weights[codingIdentity]
	anyWeight, anyNamed := weights["*"]
	if !plainNamed {
		// Plain is acceptable unless it is excluded, by name or by `*`.
		plainWeight = 1
		if anyNamed && anyWeight == 0 {
			plainWeight = 0
		}
	}
	if !gzipNamed && plainWeight == 0 && anyNamed {
		gzipWeight = anyWeight
	}
	switch {
	case gzipWeight > 0 && (!plainNamed || gzipWeight >= plainWeight):
		return codingGzip, nil
	case plainWeight > 0:
		return codingIdentity, nil
	}
	return "", fail(http.StatusNotAcceptable, "no acceptable encoding: the guest offers gzip and identity")
}

// decode undoes the coding that a body was sent in.
func decode(body io.Reader, coding string) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(coding)) {
	case "", codingIdentity:
		return body, nil
	case codingGzip, "x-gzip":
		plain, err := gzip.NewReader(body)
		if err != nil {
			return nil, fail(http.StatusBadRequest, "the body is not gzip: %s", err)
		}
		return plain, nil
	}
	return nil, fail(http.StatusBadRequest, "unsupported Content-Encoding '%s': send gzip or none", coding)
}
