// Command go-spiffe-interop reads, with go-spiffe and Go's own crypto/x509, what a gateway issues, and makes what a gateway is to read.
//
// Exit status 0: done, with the answer as JSON on standard output. 1: the library refused what it was given. 2: anything else.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// refusal is the "no" of the library under test, which tests must be able to tell from a broken test.
type refusal struct{ error }

func main() {
	commands := map[string]struct {
		usage string
		run   func(args []string) (any, error)
	}{
		"svid":   {"CERT_FILE KEY_FILE BUNDLE_FILE", readSvid},
		"bundle": {"URL CA_FILE https_web|https_spiffe", readBundle},
		"jwt":    {"URL CA_FILE AUDIENCE (the token is read from standard input)", readJwt},
		"serve":  {"CERT_FILE KEY_FILE BUNDLE_FILE PEER_ID", serve},
		"dial":   {"ADDRESS CERT_FILE KEY_FILE BUNDLE_FILE PEER_ID", dial},
		"csr":    {"P-256|P-384|P-521|RSA-1024|RSA-2048|RSA-3072|RSA-4096|Ed25519", makeRequest},
		"issue":  {"", issue},
	}
	if len(os.Args) < 2 {
		fail(2, fmt.Errorf("no command"))
	}
	command, known := commands[os.Args[1]]
	if !known {
		fail(2, fmt.Errorf("no such command: %s", os.Args[1]))
	}
	answer, err := command.run(os.Args[2:])
	if refused, ok := err.(refusal); ok {
		fail(1, refused.error)
	}
	if err != nil {
		fail(2, fmt.Errorf("%w (usage: %s %s)", err, os.Args[1], command.usage))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fail(2, err)
	}
}

func fail(status int, err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(status)
}

func want(args []string, count int) error {
	if len(args) != count {
		return fmt.Errorf("%d arguments, expected %d", len(args), count)
	}
	return nil
}
