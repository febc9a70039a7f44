// Command tentervet checks that workflow code is deterministic, and that steps return what
// they do instead of leaving it in variables of the workflow.
//
//	go install github.com/tenter-dev/tenter/cmd/tentervet@latest
//
//	tentervet ./...
//	go vet -vettool=$(which tentervet) ./...
//
// Both report the same, each with file and line and what to write instead. The second one
// checks only packages that have changed.
//
// Workflow code is every function that takes a [workflow.Context], the closures in it that are
// not steps, and what it calls in the same module. A step may do anything: the functions
// given to workflow.Step, Do, TxStep and TxDo are not workflow code, nor are those given to a
// function that only passes them on to a step. See docs/guide.md for the rules.
//
// A comment silences a line, on the same line or on the one above. The reason is required:
//
//	//lint:ignore tentervet the result does not depend on it
//
// [workflow.Context]: https://pkg.go.dev/github.com/tenter-dev/tenter/workflow#Context
package main

import (
	"golang.org/x/tools/go/analysis/singlechecker"

	"github.com/tenter-dev/tenter/cmd/tentervet/analyzer"
)

func main() { singlechecker.Main(analyzer.Analyzer) }
