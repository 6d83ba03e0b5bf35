module example.org/mtls-backend

go 1.25

require github.com/spiffe/go-spiffe/v2 v2.8.1
