from node.demo.live import *
