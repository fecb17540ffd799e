from node.replication.state import *
