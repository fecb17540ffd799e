from node.own_events import *
