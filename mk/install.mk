# SPDX-License-Identifier: Apache-2.0
# pkg-config files, install, uninstall, dist.

PC_SED = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(libdir)|' \
    -e 's|@INCLUDEDIR@|$(includedir)|' -e 's|@VERSION@|$(VERSION)|' \
    -e 's|@SOVERSION@|$(SOVERSION)|' -e 's|@MSGPACK_PC@|$(MSGPACK_PC)|' \
    -e 's|@UV_PRIVATE_PC@|$(UV_PRIVATE_PC)|'

# Written anew when PREFIX or another folder is not what it was.
$(O)/%.pc: pkgconfig/%.pc.in $(O)/config.mk FORCE
	@$(PC_SED) $< | cmp -s - $@ || $(PC_SED) $< >$@

.PHONY: pc install uninstall dist
pc: $(O)/meshsync.pc $(if $(SIM_SOURCES),$(O)/meshsync-sim.pc)

install: lib meshnode
	$(INSTALL) -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir) $(DESTDIR)$(pkgconfigdir) \
	    $(DESTDIR)$(includedir)/meshsync
	$(INSTALL) -m 644 $(PUBLIC_HEADERS) $(DESTDIR)$(includedir)/meshsync
	$(INSTALL) -m 644 $(STATIC) $(SIM_STATIC) $(DESTDIR)$(libdir)
	$(INSTALL) -m 755 $(O)/$(SHARED_FILE) $(DESTDIR)$(libdir)
	ln -sf $(SHARED_FILE) $(DESTDIR)$(libdir)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(libdir)/libmeshsync.so
	$(PC_SED) pkgconfig/meshsync.pc.in >$(DESTDIR)$(pkgconfigdir)/meshsync.pc
	$(if $(SIM_SOURCES),$(PC_SED) pkgconfig/meshsync-sim.pc.in \
	    >$(DESTDIR)$(pkgconfigdir)/meshsync-sim.pc)
	$(if $(MESHNODE_SOURCES),$(INSTALL) -m 755 $(O)/meshnode $(DESTDIR)$(bindir))
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" -eq 0 ]; then ldconfig 2>/dev/null || :; fi

uninstall:
	rm -f $(addprefix $(DESTDIR)$(includedir)/meshsync/,$(notdir $(PUBLIC_HEADERS)))
	rm -f $(addprefix $(DESTDIR)$(libdir)/,libmeshsync.a libmeshsync-sim.a $(SHARED_FILE) \
	    $(SONAME) libmeshsync.so)
	rm -f $(addprefix $(DESTDIR)$(pkgconfigdir)/,meshsync.pc meshsync-sim.pc)
	rm -f $(DESTDIR)$(bindir)/meshnode
	rmdir $(DESTDIR)$(includedir)/meshsync 2>/dev/null || :

# The committed tree, nothing of the working folder: the same commit gives the same bytes.
DIST := meshsync-$(VERSION)
dist:
	@mkdir -p $(O)
	git archive --format=tar --prefix=$(DIST)/ HEAD | gzip -9n >$(O)/$(DIST).tar.gz
	cd $(O) && sha256sum $(DIST).tar.gz >$(DIST).tar.gz.sha256
