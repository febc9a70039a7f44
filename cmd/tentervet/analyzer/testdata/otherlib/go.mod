module example.com/otherlib

go 1.26.0
