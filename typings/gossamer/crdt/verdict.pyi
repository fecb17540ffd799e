from crdt.verdict import *
