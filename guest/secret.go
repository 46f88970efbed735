package main

import (
	"errors"
	"os"
	"unsafe"

	"skerry.dev/guest/internal/control"
)

const secretVariable = control.SecretVariable

// takeSecret reads the boot secret and removes it from the environment, also from the memory behind /proc/PID/environ.
func takeSecret() (string, error) {
	secret, given := os.LookupEnv(secretVariable)
	if !given || secret == "" {
		return "", errors.New("the environment variable " + secretVariable + " is missing: the host gives it to each boot")
	}
	wipe(secretVariable + "=" + secret)
	if err := os.Unsetenv(secretVariable); err != nil {
		return "", err
	}
	return secret, nil
}

// wipe zeroes one variable in the block that the kernel made when the program started. Go copies its environment from there,
// but its arguments point into it, and the variables follow the last argument. Each is compared before the next is looked
// at, so nothing else is read or written when the block is laid out otherwise.
func wipe(variable string) {
	last := os.Args[len(os.Args)-1]
	if last == "" {
		return
	}
	at := unsafe.Add(unsafe.Pointer(unsafe.StringData(last)), len(last)+1)
	for _, expected := range os.Environ() {
		present := unsafe.Slice((*byte)(at), len(expected))
		if string(present) != expected {
			return
		}
		if expected == variable {
			clear(present)
			return
		}
		at = unsafe.Add(at, len(expected)+1)
	}
}
