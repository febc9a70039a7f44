package access_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/tenter-dev/tenter/access"
)

// Two keys: one looks, the other acts.
func ExamplePolicy() {
	guard := access.NewGuard(access.Policy{APIKeys: []access.APIKey{
		{Secret: "read-me-rT5k2wQ8", Scope: access.Read}, // from the environment, in a real program
		{Secret: "write-me-x9Lm4Vp1", Scope: access.Write, Name: "ada"},
	}})
	r := httptest.NewRequest("GET", "/", nil)
	for _, secret := range []string{"", "read-me-rT5k2wQ8", "write-me-x9Lm4Vp1"} {
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		caller, err := guard.Check(r)
		fmt.Println(caller.Scope, caller.Name, err)
	}
	// Output:
	// none  an API key is needed: send it as Authorization: Bearer KEY
	// read  <nil>
	// write ada <nil>
}
