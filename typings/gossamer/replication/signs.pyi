from node.replication.signs import *
