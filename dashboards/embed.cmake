# Builds the pages (npm ci, vite build) and turns them into sources that embed them: sets TOCSIN_ASSET_SOURCES.
# Without Node 20.19 or newer, or with TOCSIN_PAGES=OFF, a stub page stands in and says so.

option(TOCSIN_PAGES "Build and embed the web pages (needs Node >= 20.19 and npm)" ON)

set(web_dir ${CMAKE_CURRENT_SOURCE_DIR}/web)
set(embed_dir ${CMAKE_CURRENT_BINARY_DIR}/embedded)

set(node_usable FALSE)
if(TOCSIN_PAGES)
  # run.sh and test.sh put a newer Node here when the distribution's own is too old.
  find_program(NODE_PROGRAM node HINTS ${CMAKE_SOURCE_DIR}/build/node/bin)
  find_program(NPM_PROGRAM npm HINTS ${CMAKE_SOURCE_DIR}/build/node/bin)
  if(NODE_PROGRAM AND NPM_PROGRAM)
    execute_process(COMMAND ${NODE_PROGRAM} --version OUTPUT_VARIABLE node_version OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(REGEX REPLACE "^v" "" node_version "${node_version}")
    if(node_version VERSION_GREATER_EQUAL 20.19)
      set(node_usable TRUE)
    endif()
  endif()
  if(NOT node_usable)
    message(WARNING "Node >= 20.19 not found (have '${node_version}'): the binary will carry a stub instead of the web pages")
  endif()
endif()

if(node_usable)
  file(GLOB_RECURSE web_sources CONFIGURE_DEPENDS ${web_dir}/src/*.ts ${web_dir}/src/*.tsx ${web_dir}/src/*.css)
  add_custom_command(
    OUTPUT ${embed_dir}/assets_data.S ${embed_dir}/assets_table.cc
    COMMAND ${CMAKE_COMMAND} -E env "NODE=${NODE_PROGRAM}" "NPM=${NPM_PROGRAM}"
            sh ${web_dir}/build.sh ${web_dir} ${embed_dir}
    DEPENDS ${web_sources} ${web_dir}/index.html ${web_dir}/package.json ${web_dir}/package-lock.json
            ${web_dir}/vite.config.ts ${web_dir}/tsconfig.json ${web_dir}/embed.mjs ${web_dir}/build.sh
    COMMENT "Building the web pages"
    VERBATIM)
  set_source_files_properties(${embed_dir}/assets_data.S PROPERTIES OBJECT_DEPENDS ${embed_dir}/assets_table.cc)
  set(TOCSIN_ASSET_SOURCES ${embed_dir}/assets_table.cc ${embed_dir}/assets_data.S)
else()
  set(TOCSIN_ASSET_SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/assets_stub.cc)
endif()
