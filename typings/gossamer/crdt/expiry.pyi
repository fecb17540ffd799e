from crdt.expiry import *
