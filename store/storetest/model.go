package storetest

import "testing"

func runModel(t *testing.T, open func(t *testing.T) *Harness) {}
