"""Two network drivers for netyard.

``cell`` makes networks that are nowhere on the host: containers reach one another, and nothing
else. ``hub`` makes networks on a Linux bridge that sends every frame to every container. Once the
package is installed::

    netyard network create -d cell lab
    netyard network create -d hub -o ageing=0 watched

``docs/drivers.md`` of netyard tells how a driver is written, with these two as its examples.
"""
