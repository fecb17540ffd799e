from crdt.operation import *
