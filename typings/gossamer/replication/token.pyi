from node.replication.token import *
