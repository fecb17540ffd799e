from crdt.path import *
