// Reads an exposition in the text format of Prometheus on standard input, and says what Prometheus' own linter finds.
package main

import (
	"encoding/json"
	"os"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func main() {
	problems, err := promlint.New(os.Stdin).Lint()
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	if problems == nil {
		problems = []promlint.Problem{}
	}
	json.NewEncoder(os.Stdout).Encode(problems)
}
