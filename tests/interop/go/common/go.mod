module oneport.test/interop/common

go 1.24
