from node.idempotent import *
