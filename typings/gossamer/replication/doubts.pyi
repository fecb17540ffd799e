from node.replication.doubts import *
