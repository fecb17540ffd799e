from crdt.types import *
