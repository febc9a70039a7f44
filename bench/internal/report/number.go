package report

import (
	"fmt"
	"math"
	"strings"
)

// Number writes a number with three significant digits, or as an integer with
// thousands apart.
func Number(v float64) string {
	if math.Abs(v) < 1000 {
		digits := 2
		for limit := 1.0; limit <= 100 && math.Abs(v) >= 10*limit; limit *= 10 {
			digits--
		}
		s := fmt.Sprintf("%.*f", max(digits, 0), v)
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
