// Package proto holds the wire format of the envd protocol and, in its folders, the Go code made from it.
package proto

//go:generate sh generate.sh
