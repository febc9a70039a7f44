package inspect_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/inspect"
)

// TestUnimplementedClient calls each method that the interface has, those of workflow.Client too.
func TestUnimplementedClient(t *testing.T) {
	t.Parallel()
	client := reflect.TypeFor[inspect.Client]()
	v := reflect.ValueOf(inspect.UnimplementedClient{})
	for m := range client.Methods() {
		var in []reflect.Value
		method := v.MethodByName(m.Name)
		for typ := range method.Type().Ins() {
			in = append(in, reflect.Zero(typ))
		}
		out := method.Call(in)
		err, _ := out[len(out)-1].Interface().(error)
		if !errors.Is(err, errors.ErrUnsupported) || !strings.HasPrefix(err.Error(), m.Name+": ") {
			t.Errorf("%s: error is %v", m.Name, err)
		}
	}
}
