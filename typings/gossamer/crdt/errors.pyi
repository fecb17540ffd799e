from crdt.errors import *
